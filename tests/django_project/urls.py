from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_protect

from lookalike.compat.django.views import search


@csrf_protect
def guarded(request: HttpRequest) -> HttpResponse:
    """As docs/django.md has it."""
    return search(request)


urlpatterns = [path("images/", include("lookalike.compat.django.urls")), path("guarded/", guarded)]
