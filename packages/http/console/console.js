import "./admin.js";
import { drawCharts, repaintCharts, sparkline } from "./charts.js";
import { appendLine, byId, element, meter, text } from "./dom.js";
import { bytes, clock, count, duration, exact, ms, percent, rate, shards as shardsText } from "./format.js";
import { pointsMax, Series, total } from "./series.js";
import { setTargets } from "./try-it.js";

const series = new Series();
let socket = null;
let watched = null;
/** What the reader looks for among the channels; "" = nothing, the busiest are shown. */
let search = "";
let retryMs = 500;

/* ---- theme: the system's until the reader chooses ---- */
const stored = localStorage.getItem("shardcast-theme");
document.documentElement.dataset.theme = stored ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
byId("theme").addEventListener("click", () => {
	const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
	document.documentElement.dataset.theme = next;
	localStorage.setItem("shardcast-theme", next);
	repaintCharts();
});

/* ---- token: taken out of the address bar at once, kept for this tab only ---- */
const given = new URL(location.href).searchParams.get("token");
if (given !== null) {
	sessionStorage.setItem("shardcast-token", given);
	history.replaceState(null, "", location.pathname);
}
const token = sessionStorage.getItem("shardcast-token");

/* ---- feed ---- */
function open() {
	const scheme = location.protocol === "https:" ? "wss" : "ws";
	socket = new WebSocket(`${scheme}://${location.host}/console/feed${token === null ? "" : `?token=${encodeURIComponent(token)}`}`);
	socket.onopen = () => {
		retryMs = 500;
		if (watched !== null) socket.send(JSON.stringify({ tail: watched }));
		if (search !== "") socket.send(JSON.stringify({ search }));
	};
	socket.onmessage = ({ data }) => {
		const message = JSON.parse(data);
		if (message.type === "snapshot") show(message);
		else if (message.type === "tail") showTail(message);
		else if (message.type === "channels" && message.search === search) showChannels(message.channels, "No channel with this in its name.");
	};
	socket.onclose = () => {
		document.body.classList.add("stale");
		text(byId("feed"), "feed lost, trying again");
		setTimeout(open, retryMs);
		retryMs = Math.min(retryMs * 2, 10_000);
	};
}

function show(snapshot) {
	document.body.classList.remove("stale");
	series.add(snapshot);
	showHead(snapshot);
	showTiles(snapshot);
	drawCharts(series);
	showNodes(snapshot);
	showShards(snapshot);
	showRings(snapshot);
	showKafka(snapshot);
	showEvents(snapshot.events);
	showChannelTotals(snapshot);
	if (search === "") showChannels(snapshot.channels, "No messages in the last seconds, and no subscribers.");
	setTargets(snapshot.shards);
}

function showHead({ cluster, at }) {
	const pill = byId("status");
	pill.className = `pill ${cluster.status}`;
	text(pill, cluster.status);
	text(
		byId("facts"),
		`${cluster.mode} · ${placementOf(cluster)} · up ${duration(cluster.uptimeSeconds)} · shardcast ${cluster.version} · Node ${cluster.node} · ${publishers(cluster)}`,
	);
	text(byId("feed"), `updated ${clock(at)}`);
	const reasons = byId("reasons");
	reasons.hidden = cluster.reasons.length === 0;
	text(reasons, cluster.reasons.join(" · "));
}

function showTiles(snapshot) {
	const { cluster, shards, scaling } = snapshot;
	const newest = (list) => list.at(-1) ?? null;
	text(byId("tile-connections"), exact(cluster.connections));
	text(
		byId("tile-connections-sub"),
		`${percent(cluster.connections / cluster.maxConnections)} of ${exact(cluster.maxConnections)} · ${shardsText(shards.length, scaling)}`,
	);
	const messages = newest(series.messages);
	const deliveries = newest(series.deliveries);
	text(byId("tile-messages"), messages === null ? "–" : `${rate(messages)}/s`);
	text(byId("tile-messages-sub"), `${exact(total(snapshot, "messagesIn"))} from clients and HTTP`);
	text(byId("tile-deliveries"), deliveries === null ? "–" : `${rate(deliveries)}/s`);
	text(byId("tile-deliveries-sub"), `${exact(total(snapshot, "deliveries"))} in all`);
	text(byId("tile-latency"), ms(newest(series.p99)));
	text(byId("tile-latency-sub"), `p99 over 10 s; p50 is ${ms(newest(series.p50))}`);
	const slow = total(snapshot, "closedSlow");
	const refused = snapshot.balancer.counters.refusedBusy + total(snapshot, "refused");
	const others = total(snapshot, "closedTooBig") + total(snapshot, "closedBusFull") + total(snapshot, "closedRateLimited");
	text(byId("tile-trouble"), exact(slow + refused + others));
	text(byId("tile-trouble-sub"), `${exact(slow)} slow · ${exact(refused)} refused full · ${exact(others)} other`);
}

/** How the balancer chooses a shard, in a few words. */
function placementOf({ placement }) {
	if (placement === undefined) return "no balancer";
	const strategy = placement.strategy.replaceAll("_", " ");
	return placement.affinity === "none" ? strategy : `${strategy}, affinity by ${placement.affinity}`;
}

/** Who may publish, in a few words. */
function publishers({ auth, mayPublish: { http, webSocket } }) {
	if (auth === "required") return http === "key" ? "authentication is required" : "authentication is required, nobody publishes over HTTP";
	if (http === "everyone")
		return webSocket === "everyone" ? "open mode: everyone may publish" : "open mode over HTTP, clients only receive";
	return webSocket === "everyone"
		? "publishing needs the key over HTTP, clients need none"
		: "publishing needs the key, clients only receive";
}

/** Which machines there are, as the one that shows this page knows them. */
function showNodes({ nodes: known }) {
	byId("nodes").hidden = known === null;
	if (known === null) return;
	const { id: own, state, reason, nodes, totals } = known;
	text(
		byId("node-totals"),
		state === "member" ? `${nodes.length} machines, connections: ${exact(totals.connections)}` : `${own}: ${reason}. As last known:`,
	);
	byId("node-rows").replaceChildren(
		...nodes.map((node) => {
			const cell = (...children) => element("td", {}, ...children);
			return element(
				"tr",
				{ "data-node": node.id },
				cell(element("strong", {}, node.id), " ", element("small", {}, node.id === own ? `${node.address} · this one` : node.address)),
				cell(element("span", { class: `pill state ${node.health}` }, node.status === "serving" ? node.health : node.status)),
				cell(node.region === "" ? "–" : node.region),
				cell(exact(node.shards)),
				cell(meter(node.cpu, percent(node.cpu))),
				cell(ms(node.loopLagMs)),
				cell(
					meter(
						node.maxConnections > 0 ? node.connections / node.maxConnections : 0,
						`${exact(node.connections)} / ${exact(node.maxConnections)}`,
					),
				),
				cell(rate(node.messagesPerSecond)),
				cell(rate(node.deliveriesPerSecond)),
			);
		}),
	);
}

/** A shard of another machine: what the balancer here knows of it. */
function remoteRow({ id, status, reason, connections, max, open, weight }) {
	const cell = (...children) => element("td", {}, ...children);
	const state = { healthy: "healthy", unavailable: "unhealthy" }[status] ?? status;
	return element(
		"tr",
		{ "data-remote": id },
		cell(element("strong", {}, "remote"), " ", element("small", {}, id)),
		cell(element("span", { class: `pill state ${state}`, title: reason ?? "" }, status)),
		cell("–"),
		cell("–"),
		cell("–"),
		cell(meter(max > 0 ? connections / max : 0, `${exact(connections)} / ${exact(max)}, weight ${weight}`)),
		cell("–"),
		cell(exact(open), " ", element("small", {}, "connections through this balancer")),
		cell(""),
		cell("–"),
	);
}

function showShards({ shards, cluster }) {
	const remotes = (cluster.remoteShards ?? []).map(remoteRow);
	byId("shard-rows").replaceChildren(
		...shards.map((shard) => {
			const now = series.now.get(shard.id) ?? { deliveries: 0, cpu: 0 };
			const cell = (...children) => element("td", {}, ...children);
			return element(
				"tr",
				{ "data-shard": String(shard.id) },
				cell(element("strong", {}, String(shard.id)), " ", element("small", {}, `pid ${shard.pid} · :${shard.port}`)),
				cell(
					element("span", { class: `pill state ${shard.status}`, title: shard.reason ?? "" }, shard.status),
					shard.overloaded === undefined ? "" : element("small", {}, ` avoided: ${shard.overloaded.join(", ")}`),
				),
				cell(shard.core === null || shard.core < 0 ? "any" : String(shard.core)),
				cell(meter(now.cpu, percent(now.cpu))),
				cell(ms(shard.counters.loopLagP99Ms)),
				cell(
					meter(
						shard.max > 0 ? shard.connections / shard.max : 0,
						`${exact(shard.connections)} / ${exact(shard.max)}${shard.weight === undefined ? "" : `, weight ${shard.weight}`}`,
					),
				),
				cell(exact(shard.counters.clientsBehind), " ", element("small", {}, `${bytes(shard.counters.unreadBytes)} unread`)),
				cell(rate(now.deliveries)),
				cell(sparkline(series.perShard.get(shard.id) ?? [], pointsMax, `deliveries per second of shard ${shard.id}`)),
				cell(String(shard.restarts)),
			);
		}),
		...remotes,
	);
}

function showRings({ rings }) {
	byId("rings").replaceChildren(
		...rings.map(({ name, depthBytes, capacityBytes }) => {
			const fill = element("b");
			fill.style.width = `${Math.min(100, (depthBytes / capacityBytes) * 100)}%`;
			return element(
				"div",
				{ class: "ring" },
				element("span", {}, name),
				element("i", { "aria-hidden": "true" }, fill),
				element("span", { class: "muted" }, `${bytes(depthBytes)} of ${bytes(capacityBytes)}`),
			);
		}),
	);
}

function showKafka({ kafka }) {
	if (!kafka) return;
	const line = (name, value) => element("tr", {}, element("td", {}, name), element("td", {}, value));
	byId("kafka").replaceChildren(
		element("p", { class: "hint" }, `${kafka.status}${kafka.reason ? `: ${kafka.reason}` : ""}`),
		element(
			"table",
			{},
			element(
				"tbody",
				{},
				line("Records", exact(kafka.records)),
				line("Lag", `${exact(kafka.lag)} records`),
				line("Pauses", `${exact(kafka.pauses)}, ${duration(kafka.pausedSeconds)} in all`),
				line("Errors", exact(kafka.errors)),
			),
		),
	);
}

function showEvents(events) {
	const list = byId("events");
	const key = events.map(({ at, text: words }) => `${at}${words}`).join("|");
	if (list.dataset.shown === key) return;
	list.dataset.shown = key;
	const rows = [...events]
		.reverse()
		.map(({ at, level, text: words }) =>
			element("li", {}, element("time", { datetime: new Date(at).toISOString() }, clock(at)), element("span", { class: level }, words)),
		);
	list.replaceChildren(
		...(rows.length > 0 ? rows : [element("li", { class: "muted" }, "–", element("span", {}, "Nothing has happened yet."))]),
	);
}

function showChannelTotals(snapshot) {
	const of = (counter) => exact(total(snapshot, counter));
	text(
		byId("channel-totals"),
		`${of("subscriptions")} subscriptions · recoveries: ${of("recoveries")} from memory, ${of("recoveriesFromKafka")} from Kafka, ${of("recoveriesFailed")} failed`,
	);
}

function showChannels(channels, otherwise) {
	const rows = channels.map(({ name, subscribers, present, perSecond, history: kept }) =>
		element(
			"tr",
			{},
			element("td", {}, name === "" ? element("em", {}, "everybody") : name),
			element("td", {}, exact(subscribers)),
			element("td", {}, present === 0 ? "–" : exact(present)),
			element("td", {}, rate(perSecond)),
			element("td", {}, kept === null ? "–" : `${exact(kept.kept)} kept, at ${exact(kept.offset)}`),
			element(
				"td",
				{},
				element(
					"button",
					{ type: "button", class: "quiet small", "aria-pressed": String(watched === name), "data-channel": name },
					watched === name ? "Watching" : "Watch",
				),
			),
		),
	);
	// A focused button must survive the refresh, or the keyboard loses its place every second.
	const focused = document.activeElement?.dataset?.channel;
	byId("channel-rows").replaceChildren(
		...(rows.length > 0 ? rows : [element("tr", {}, element("td", { colspan: "6", class: "muted" }, otherwise))]),
	);
	if (focused !== undefined)
		byId("channel-rows")
			.querySelector(`[data-channel="${CSS.escape(focused)}"]`)
			?.focus();
}

byId("channel-search").addEventListener("input", ({ target }) => {
	search = target.value.trim();
	if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ search: search === "" ? null : search }));
});

byId("channel-rows").addEventListener("click", (event) => {
	const channel = event.target.closest("button")?.dataset.channel;
	if (channel === undefined) return;
	watched = watched === channel ? null : channel;
	byId("tail").replaceChildren();
	text(byId("tail-title"), watched === null ? "Live tail" : `Live tail of ${watched === "" ? "everybody" : watched}`);
	for (const button of byId("channel-rows").querySelectorAll("button")) {
		button.setAttribute("aria-pressed", String(button.dataset.channel === watched));
		text(button, button.dataset.channel === watched ? "Watching" : "Watch");
	}
	if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ tail: watched }));
});

function showTail({ channel, at, text: words, bytes: size, binary }) {
	if (channel !== watched) return;
	appendLine(byId("tail"), element("li", {}, element("time", {}, `${clock(at)} `), binary ? `binary, ${bytes(size)}` : words));
}

text(byId("tile-trouble"), count(0));
open();
