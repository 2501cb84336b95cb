from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from pyodide.ffi import run_sync

from contact.forms import ContactForm


@require_http_methods(["GET", "HEAD", "POST"])
def contact(request):
    form = ContactForm(request.POST or None)
    if not form.is_valid():
        return render(request, "contact/form.html", {"form": form}, status=400 if request.POST else 200)
    messages = request.environ["workers.env"].MESSAGES
    run_sync(messages.send(form.cleaned_data))  # a plain view waits for what is asynchronous
    return redirect("thanks")


@require_safe
def thanks(request):
    return render(request, "contact/thanks.html")
