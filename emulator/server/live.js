// Reloads the page when a worker's code was loaded again, also after a new start of the emulator. It is on error pages,
// and with --live-reload on the worker's own.
const events = new EventSource("/cdn-cgi/emulator/live");
let session;
events.addEventListener("session", ({ data }) => {
  if (session !== undefined && session !== data) {
    location.reload();
  }
  session = data;
});
events.addEventListener("reload", () => location.reload());
addEventListener("pagehide", () => events.close());
