"""Results for people and other programs: JSON, tables, contact sheets, reports."""
