"""What is indexed: folders, catalogues and tables, and what is downloaded first."""
