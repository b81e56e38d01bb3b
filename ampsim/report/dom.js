// The document: elements by id, and elements made of text, never of markup.

const $ = (id) => document.getElementById(id);

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function icon(className, path) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("class", className);
  drawing.setAttribute("aria-hidden", "true");
  drawing.appendChild(document.createElementNS(space, "path")).setAttribute("d", path);
  return drawing;
}

function playIcon() {
  const both = document.createDocumentFragment();
  both.append(icon("to-play", "M7 4.5v15l13-7.5z"), icon("to-pause", "M6 5h4v14H6zM14 5h4v14h-4z"));
  return both;
}

function clock(seconds, digits = 1) {
  const unit = 10 ** digits;
  const ticks = Math.round(seconds * unit);
  const minutes = Math.floor(ticks / (60 * unit));
  const rest = ((ticks - minutes * 60 * unit) / unit).toFixed(digits);
  return `${minutes}:${rest.padStart(digits ? 3 + digits : 2, "0")}`;
}
