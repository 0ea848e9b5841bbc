"""How items and results are shown: contact sheets, HTML for notebooks, tables for pandas."""
