import { appendLine, byId, element } from "./dom.js";
import { clock } from "./format.js";

/**
 * The panel with actions: it asks for the key, shows a form for each verb that the cluster has, asks before anything that changes something, and shows the steps.
 * The key is in this variable only: it is sent in a header, and gone with the page.
 */
let key = "";
let isBusy = false;

const followMs = 2500;
const retryMs = 500;
/** An operation may restart the process that answers this page. */
const awayMsMax = 30_000;

function log(kind, text) {
	appendLine(byId("admin-log"), element("li", {}, element("time", {}, `${clock(Date.now())} `), element("span", { class: kind }, text)));
}

/** @throws Error with the cluster's reason. */
async function call(path, body) {
	const answer = await fetch(path, {
		method: body === undefined ? "GET" : "POST",
		headers: { "x-admin-key": key, ...(body === undefined ? {} : { "content-type": "application/json" }) },
		body: body === undefined ? undefined : JSON.stringify(body),
		cache: "no-store",
		credentials: "omit",
	});
	const parsed = await answer.json();
	if (parsed.error !== undefined) throw Object.assign(new Error(parsed.error.message), { isAnswer: answer.status < 500 });
	return parsed;
}

function lock() {
	key = "";
	byId("admin-key").value = "";
	byId("admin-verbs").replaceChildren();
	byId("admin-unlock").hidden = false;
	byId("admin-lock").hidden = true;
}

byId("admin-unlock").addEventListener("submit", async (event) => {
	event.preventDefault();
	key = byId("admin-key").value;
	byId("admin-key").value = "";
	try {
		const { verbs, version } = await call("/admin/v1/verbs");
		byId("admin-unlock").hidden = true;
		byId("admin-lock").hidden = false;
		byId("admin-verbs").replaceChildren(...verbs.map(formOf));
		log("", `connected to shardcast ${version}`);
	} catch (error) {
		lock();
		log("bad", error.message);
	}
});
byId("admin-lock").addEventListener("click", lock);

function fieldOf({ name, placeholder, required, help, choices }) {
	const input =
		placeholder === null
			? element("input", { type: "checkbox", name })
			: choices !== undefined
				? element(
						"select",
						{ name, required },
						...(required ? [] : [element("option", { value: "" }, "–")]),
						...choices.map((each) => element("option", {}, each)),
					)
				: element("input", { name, required, placeholder: placeholder.replace(/[<>]/g, ""), autocomplete: "off", spellcheck: "false" });
	return element("label", { title: help }, `${name} `, input);
}

function formOf(verb) {
	const form = element(
		"form",
		{ class: "verb", "data-verb": verb.name },
		element("h3", {}, verb.name),
		element("p", { class: "hint" }, verb.summary),
		element(
			"div",
			{ class: "fields" },
			...verb.arguments.map(fieldOf),
			element("button", { type: "submit" }, verb.changes ? "Run…" : "Show"),
		),
	);
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		const args = {};
		for (const { name, placeholder } of verb.arguments) {
			const field = form.elements.namedItem(name);
			if (placeholder === null) {
				if (field.checked) args[name] = true;
			} else if (field.value !== "") args[name] = field.value;
		}
		if (verb.changes) confirmThen(verb, args, () => run(verb, args));
		else run(verb, args);
	});
	return form;
}

/** What will be done, in the words of the command line. */
function commandOf({ name, arguments: table }, args) {
	const parts = table
		.filter((argument) => args[argument.name] !== undefined)
		.map(({ name: argument, place, placeholder }) => {
			const value = args[argument];
			return place === "word" ? value : placeholder === null ? `--${argument}` : `--${argument} ${value}`;
		});
	return [name, ...parts].join(" ");
}

function confirmThen(verb, args, action) {
	const dialog = byId("admin-confirm");
	byId("admin-confirm-command").textContent = commandOf(verb, args);
	byId("admin-confirm-summary").textContent = verb.summary;
	dialog.onclose = () => {
		if (dialog.returnValue === "yes") action();
	};
	dialog.returnValue = "";
	dialog.showModal();
}

async function run(verb, args) {
	// `cancel` neither begins nor ends the action that it stops.
	const isAction = verb.changes && verb.name !== "cancel";
	if (isBusy && isAction) return log("warn", "wait for the end of the action in progress, or cancel it");
	if (isAction) isBusy = true;
	const command = commandOf(verb, args);
	log("", `→ ${command}`);
	try {
		let state = await call("/admin/v1/run", { verb: verb.name, arguments: args, wait: 0 });
		let awaySince = null;
		for (;;) {
			state.events.forEach(show);
			if (state.outcome !== null && state.events.some(({ type }) => type === "end")) return;
			try {
				state = await call(`/admin/v1/operation?id=${state.id}&after=${state.next}&wait=${followMs}`);
				awaySince = null;
			} catch (error) {
				awaySince ??= Date.now();
				if (error.isAnswer || Date.now() - awaySince > awayMsMax) throw error;
				state = { ...state, events: [] };
				await new Promise((resolve) => setTimeout(resolve, retryMs));
			}
		}
	} catch (error) {
		log("bad", `${command}: ${error.message}`);
	} finally {
		if (isAction) isBusy = false;
	}
}

function show(event) {
	if (event.type === "progress") return log("", event.text);
	if (event.type === "warning") return log("warn", event.text);
	for (const line of event.lines) log("", line);
	if (event.outcome !== "done") log(event.outcome === "partly" ? "warn" : "bad", `${event.outcome}: ${event.reason}`);
	else if (event.lines.length === 0) log("", "done");
}
