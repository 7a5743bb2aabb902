// Sends `form[data-upload]` with how far it is, how fast, and a button to stop it. Without this script the browser sends the
// same form by itself. The answer to a form that was done is 204 with `Location`; one that was refused is its page again, whose
// `#upload` takes the place of ours, with the file that was chosen.
(() => {
  const RATE_WINDOW_MS = 5000;
  const SAY_EVERY_MS = 250;
  const UNITS = ["B", "kB", "MB", "GB", "TB"];

  const bytes = (count) => {
    let unit = 0;
    let value = count;
    while (value >= 1000 && unit < UNITS.length - 1) {
      value /= 1000;
      unit += 1;
    }
    return `${unit === 0 || value >= 100 ? Math.floor(value) : (Math.floor(value * 10) / 10).toFixed(1)} ${UNITS[unit]}`;
  };

  const rate = (samples) => {
    const [first, last] = [samples[0], samples[samples.length - 1]];
    const passed = last.at - first.at;
    return passed > 0 ? `, ${bytes(((last.done - first.done) * 1000) / passed)}/s` : "";
  };

  const fail = (form, text) => {
    form.querySelector("[data-upload-progress]").hidden = true;
    form.querySelector("[type=submit]").disabled = false;
    const error = form.querySelector("[data-upload-error]");
    error.textContent = text;
    error.hidden = !text;
    window.removeEventListener("beforeunload", ask);
    // The button that had the keyboard's focus is hidden now.
    if (text) form.querySelector("[type=submit]").focus();
  };

  // Leaving the page would end the upload.
  const ask = (event) => event.preventDefault();

  const show = (form, page) => {
    const [ours, theirs] = [document.getElementById("upload"), page.getElementById("upload")];
    if (!ours || !theirs) return false;
    const chosen = form.querySelector("input[type=file]");
    const content = document.importNode(theirs, true);
    const fresh = content.querySelector("input[type=file]");
    for (const name of ["aria-invalid", "aria-describedby"]) {
      if (fresh.hasAttribute(name)) chosen.setAttribute(name, fresh.getAttribute(name));
      else chosen.removeAttribute(name);
    }
    fresh.replaceWith(chosen);
    ours.replaceChildren(...content.childNodes);
    (ours.querySelector("[aria-invalid=true]") || ours.querySelector("[role=alert], input:not([type=hidden])"))?.focus();
    return true;
  };

  const answered = (form, request) => {
    window.removeEventListener("beforeunload", ask);
    const next = request.getResponseHeader("Location");
    if (request.status === 204 && next) return location.assign(next);
    if (request.status === 401) return fail(form, "The session is over. Sign in again, then send the file again.");
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    if (show(form, page)) return;
    const said = page.querySelector("main h1")?.textContent.trim();
    fail(form, `The manager refused it: ${said || `status ${request.status}`}.`);
  };

  const send = (form) => {
    const file = form.querySelector("input[type=file]").files[0];
    const total = file ? file.size : 0;
    const [bar, text] = [form.querySelector("[data-upload-progress] progress"), form.querySelector("[data-upload-text]")];
    form.querySelector("[data-upload-bytes]").value = String(total);
    fail(form, "");
    form.querySelector("[data-upload-progress]").hidden = false;
    form.querySelector("[type=submit]").disabled = true;
    window.addEventListener("beforeunload", ask);

    const request = new XMLHttpRequest();
    const samples = [];
    let saidAt = -SAY_EVERY_MS;
    request.upload.addEventListener("progress", (event) => {
      const at = performance.now();
      // The fields before the file are a few hundred bytes: as much of the form is sent as of the file.
      const done = event.total ? Math.round((event.loaded / event.total) * total) : 0;
      samples.push({ at, done });
      while (samples.length > 2 && at - samples[0].at > RATE_WINDOW_MS) samples.shift();
      if (at - saidAt < SAY_EVERY_MS && done < total) return;
      saidAt = at;
      bar.max = total || 1;
      bar.value = done;
      const percent = total ? Math.floor((done * 100) / total) : 0;
      text.textContent = done < total ? `${bytes(done)} of ${bytes(total)}, ${percent} %${rate(samples)}` : "All of it is sent; the manager stores it …";
    });
    request.addEventListener("load", () => answered(form, request));
    request.addEventListener("error", () => fail(form, "The connection was lost. What came is in Software Files, as a draft that its file can be sent to again."));
    request.addEventListener("abort", () => fail(form, "Cancelled. Software Files may hold a draft of it, to be deleted or sent its file again."));
    form.querySelector("[data-upload-cancel]").addEventListener("click", () => request.abort(), { once: true });
    request.open("POST", form.action);
    request.setRequestHeader("X-Weir-Upload", "1");
    request.send(new FormData(form));
    form.querySelector("[data-upload-cancel]").focus();
  };

  // A form may come later, when a part of the page is drawn again.
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-upload]");
    if (!form) return;
    event.preventDefault();
    send(form);
  });
})();
