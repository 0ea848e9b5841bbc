"""Read what is indexed: folders, catalogues and tables, and what is downloaded first."""
