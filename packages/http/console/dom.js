/** The few ways in which the page is changed. Text from the network only ever becomes text nodes, never markup. */

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (name === "class") node.className = value;
		else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
		else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
	}
	node.append(...children);
	return node;
}

/** Sets text only where it differs, so that a selection in the page outlives a refresh. */
export function text(node, value) {
	if (node.textContent !== value) node.textContent = value;
}

export function meter(share, label) {
	const fill = element("b", { class: share > 0.9 ? "high" : "" });
	fill.style.width = `${Math.min(100, share * 100)}%`;
	return element("div", { class: "meter" }, element("i", { "aria-hidden": "true" }, fill), label);
}

/** Appends a line to a log, keeps the newest `max`, and stays at the end unless the reader has scrolled up. */
export function appendLine(list, line, max = 200) {
	const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
	list.append(line);
	while (list.childElementCount > max) list.firstElementChild.remove();
	if (atEnd) list.scrollTop = list.scrollHeight;
}
