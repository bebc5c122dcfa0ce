// The page works without this. It refreshes in place: open parts stay open, and ticked servers are not lost.
{
  const { refresh, at } = document.body.dataset;
  const parts = () => [...document.querySelectorAll("details[id]")];
  const kept = "open " + location.pathname;
  const open = JSON.parse(sessionStorage.getItem(kept) || "[]");
  for (const part of parts()) part.open ||= open.includes(part.id);
  addEventListener("pagehide", () => {
    sessionStorage.setItem(kept, JSON.stringify(parts().filter((part) => part.open).map((part) => part.id)));
  });
  const busy = () => document.querySelector("input[name=s]:checked") || /INPUT|SELECT/.test(document.activeElement?.tagName);
  if (refresh) {
    setInterval(() => {
      if (busy() || document.hidden) return;
      if (location.pathname + location.search === at) location.reload();
      else location.replace(at);
    }, refresh * 1000);
  }
  for (const all of document.querySelectorAll("input.all")) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const one of all.form.querySelectorAll("input[name=s]")) one.checked = all.checked;
    });
  }
}
