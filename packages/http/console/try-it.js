import { appendLine, byId, element } from "./dom.js";
import { bytes, clock } from "./format.js";

/** The try-it panel: one WebSocket to the balancer or to one shard, and HTTP publishes, with every frame shown. */
let socket = null;

function log(direction, shown, kind = "") {
	const label = { in: "← got", out: "→ sent", note: "·" }[direction];
	appendLine(
		byId("frames"),
		element(
			"li",
			{ class: direction },
			element("time", {}, `${clock(Date.now())} `),
			element("span", { class: "dir" }, label),
			element("span", { class: kind }, shown),
		),
	);
}

const address = (port, channels) => {
	const host = port === "" ? location.host : `${location.hostname}:${port}`;
	const scheme = location.protocol === "https:" ? "wss" : "ws";
	return `${scheme}://${host}/ws${channels === "" ? "" : `?channels=${encodeURIComponent(channels)}`}`;
};

function setConnected(connected) {
	byId("try-connect").textContent = connected ? "Disconnect" : "Connect";
	byId("try-send").disabled = !connected;
}

function connect() {
	const url = address(byId("try-target").value, byId("try-channels").value.trim());
	log("note", `connecting to ${url}`);
	const opening = new WebSocket(url);
	socket = opening;
	byId("try-connect").textContent = "Disconnect";
	opening.binaryType = "arraybuffer";
	opening.onopen = () => {
		setConnected(true);
		log("note", "open");
	};
	opening.onmessage = ({ data }) => log("in", typeof data === "string" ? data : `binary, ${bytes(data.byteLength)}`);
	opening.onclose = ({ code, reason }) => {
		log("note", `closed, ${code}${reason === "" ? "" : ` ${reason}`}`, code === 1000 || code === 1005 ? "" : "bad");
		if (socket === opening) {
			socket = null;
			setConnected(false);
		}
	};
}

byId("try-socket").addEventListener("submit", (event) => {
	event.preventDefault();
	if (socket) socket.close(1000);
	else connect();
});

function send() {
	if (socket?.readyState !== WebSocket.OPEN) return;
	const message = byId("try-message").value;
	socket.send(message);
	log("out", message);
}
byId("try-send").addEventListener("click", send);
byId("try-message").addEventListener("keydown", (event) => {
	if (event.key !== "Enter") return;
	event.preventDefault();
	send();
});

/** What is JSON goes as it was typed, anything else as a text: the same rule that a reader of the docs would try. */
const asData = (typed) => {
	try {
		JSON.parse(typed);
		return typed;
	} catch {
		return JSON.stringify(typed);
	}
};

byId("try-http").addEventListener("submit", async (event) => {
	event.preventDefault();
	const channel = byId("try-http-channel").value.trim();
	const key = byId("try-http-key").value;
	const body = `{${channel === "" ? "" : `"channel": ${JSON.stringify(channel)}, `}"data": ${asData(byId("try-http-data").value)}}`;
	try {
		const answer = await fetch("/api/publish", {
			method: "POST",
			headers: { "content-type": "application/json", ...(key === "" ? {} : { "x-api-key": key }) },
			body,
		});
		log("note", `POST /api/publish ${body} answered ${answer.status} ${await answer.text()}`, answer.ok ? "" : "bad");
	} catch (error) {
		log("note", `POST /api/publish failed: ${error.message}`, "bad");
	}
});

/** Keeps the list of shards to connect to; rebuilt only when it changes, so that an open list does not jump. */
export function setTargets(shards) {
	const select = byId("try-target");
	const wanted = shards.map(({ id, port }) => `${id}:${port}`).join();
	if (select.dataset.shown === wanted) return;
	select.dataset.shown = wanted;
	const chosen = select.value;
	select.replaceChildren(
		element("option", { value: "" }, "through the balancer"),
		...shards.map(({ id, port }) => element("option", { value: String(port) }, `shard ${id}, port ${port}`)),
	);
	select.value = shards.some(({ port }) => String(port) === chosen) ? chosen : "";
}
