// Fills the page from two fixed questions. Texts become text nodes only, and links only addresses with https.
"use strict";

const OPEN_AT_FIRST = 6;
const byId = (id) => document.getElementById(id);
const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const spans = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== "" && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const link = (address, text) => (address.startsWith("https://") ? make("a", { href: address }, text) : text);
const state = (name) => make("span", { class: `state ${name}` }, name);

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" }, redirect: "error" });
  if (answer.status === 401) throw new Error("Your session has ended. Reload the page to sign in again.");
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error || `The server answers ${answer.status}.`);
  return found;
}

function since(when) {
  if (!when) return "";
  const date = new Date(when);
  const seconds = Math.round((date - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) || UNITS[3];
  const text = spans.format(Math.trunc(seconds / size), unit);
  return make("time", { datetime: date.toISOString(), title: date.toLocaleString() }, text);
}

function command(text) {
  const button = make("button", { type: "button", "aria-label": `Copy: ${text}` }, "Copy");
  button.addEventListener("click", async () => {
    let done = "Copied";
    await navigator.clipboard.writeText(text).catch(() => { done = "Not copied"; });
    button.textContent = done;
    byId("said").textContent = done;
    setTimeout(() => { button.textContent = "Copy"; byId("said").textContent = ""; }, 2000);
  });
  return make("p", { class: "command" }, make("code", {}, text), button);
}

function card(ui) {
  return make("li", { class: "card" },
    make("div", { class: "top" }, link(ui.address, ui.name), state(ui.state)),
    make("p", {}, ui.summary),
    make("p", { class: "version" }, ui.version));
}

function share(each) {
  const unit = each.unit ? ` ${each.unit}` : "";
  const used = each.used === null ? "?" : numbers.format(each.used);
  const text = `${each.name} ${used} of ${numbers.format(each.hard)}${unit}`;
  const row = make("li", {}, make("span", {}, text));
  if (each.used !== null) {
    row.append(make("meter", { min: 0, max: each.hard, low: each.hard * 0.8, high: each.hard * 0.95, optimum: 0,
      value: each.used, "aria-label": text }));
  }
  return row;
}

function row(each) {
  const name = make("span", { class: "name" }, link(each.address, each.name));
  if (each.detail) name.append(make("span", { class: "detail" }, each.detail));
  const item = make("li", {}, name, state(each.state), since(each.since));
  if (each.endpoint) item.append(command(each.endpoint));
  if (each.why) item.append(make("span", { class: "why" }, each.why));
  return item;
}

function list(each) {
  const count = each.count > each.rows.length ? ` ${each.rows.length} of ${each.count}` : "";
  const part = make("section", { class: "list" }, make("h3", {}, each.title, make("small", {}, count)));
  if (each.why) part.append(make("p", { class: "none" }, `Not known: ${each.why}`));
  else if (!each.rows.length) part.append(make("p", { class: "none" }, "None"));
  else part.append(make("ul", { class: "rows" }, ...each.rows.map(row)));
  if (each.command) part.append(command(each.command));
  return part;
}

async function fill(inside, project) {
  try {
    const found = await ask(`/v1/projects/${encodeURIComponent(project)}`);
    const commands = make("section", { class: "list" }, make("h3", {}, "Commands"));
    for (const each of found.commands) commands.append(make("p", { class: "none" }, each.about), command(each.command));
    inside.replaceChildren(...found.lists.map(list), commands);
  } catch (error) {
    inside.replaceChildren(make("p", { class: "none", role: "alert" }, error.message));
  }
}

function project(each, open) {
  const inside = make("div", { class: "inside" }, make("p", { class: "none" }, "Loading"));
  const heading = make("h2", {}, each.name, make("span", { class: "role" }, each.role));
  const details = make("details", {}, make("summary", {}, heading, make("ul", { class: "quota" }, ...each.quota.map(share))),
    inside);
  let asked = null;
  const load = () => (asked ??= fill(inside, each.name));
  details.addEventListener("toggle", () => { if (details.open) load(); });
  details.open = open;
  return [details, open ? load() : null];
}

async function start() {
  try {
    const found = await ask("/v1/home");
    document.title = byId("site").textContent = found.site;
    byId("person").textContent = [found.person.name, ...found.person.groups].join(" · ");
    byId("sign-out").href = found.signOut;
    byId("sign-out").hidden = false;
    byId("uis").append(...found.uis.map(card));
    const made = found.projects.map((each, index) => project(each, index < OPEN_AT_FIRST));
    byId("projects").append(...made.map(([details]) => details));
    if (found.why) byId("projects").append(make("p", { class: "none" }, `Not known: ${found.why}`));
    else if (!made.length) {
      byId("projects").append(make("p", { class: "none" }, "You are not a member of a project. An administrator adds you:"),
        command(found.addProject));
    }
    await Promise.all(made.map(([, loaded]) => loaded));
  } catch (error) {
    byId("problem").textContent = error.message;
    byId("problem").hidden = false;
  }
  byId("main").setAttribute("aria-busy", "false");
  performance.mark("complete");
}

start();
