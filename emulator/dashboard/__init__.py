"""The dashboard: what a session is, does and has done, in the browser.

Nothing of it is imported before somebody opens it. Pages are made here, complete and without a script; the script that
they load brings them up to date. Everything that comes from workers, messages and clients is text.
"""
