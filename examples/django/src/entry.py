"""A contact form in Django. What visitors write goes into a queue, and from there to the mail service."""

import os

from workers import WorkerEntrypoint, fetch, wsgi

os.environ["DJANGO_SETTINGS_MODULE"] = "contact.settings"

from django.core.wsgi import get_wsgi_application
from django.template.loader import render_to_string

application = get_wsgi_application()


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await wsgi.fetch(application, request, self.env)

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            text = render_to_string("contact/mail.txt", message.body)
            answer = await fetch(self.env.MAIL, method="POST", headers={"content-type": "text/plain"}, body=text)
            if answer.ok:
                message.ack()
            else:
                message.retry()
