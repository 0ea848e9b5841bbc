"""``path("images/", include("lookalike.compat.django.urls"))`` makes ``POST /images/search/``."""

from django.urls import path

from lookalike.compat.django.views import search

__all__ = ["app_name", "urlpatterns"]

app_name = "lookalike"
urlpatterns = [path("search/", search, name="search")]
