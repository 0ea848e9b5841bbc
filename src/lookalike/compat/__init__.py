"""What older systems' clients and configurations need to go on working."""
