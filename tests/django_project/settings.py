"""A project as `django-admin startproject` makes one, with the app and its middleware for pages."""

from pathlib import Path

SECRET_KEY = "for tests alone"  # noqa: S105 - guards nothing
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "lookalike.compat.django",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "django_project.urls"
WSGI_APPLICATION = "django.core.wsgi.get_wsgi_application"
DATABASES: dict[str, object] = {}
LOGGING_CONFIG = None
USE_TZ = True

LOOKALIKE_COLLECTION: str | Path = "shop"
LOOKALIKE_PICTURE_URL = "https://cdn.example/{id}?w=320"
