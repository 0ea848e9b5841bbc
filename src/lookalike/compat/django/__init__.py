"""A small reusable Django app: ``POST /images/search/`` from a collection.

    INSTALLED_APPS = [..., "lookalike.compat.django"]
    LOOKALIKE_COLLECTION = "shop"

    urlpatterns = [path("images/", include("lookalike.compat.django.urls")), ...]

See docs/django.md. ``pip install 'lookalike[django]'``.
"""

__all__: list[str] = []
