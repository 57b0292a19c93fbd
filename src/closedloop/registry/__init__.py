"""The only package that talks to MLflow: its store, runs, versions and the champion alias."""
