import "./admin.js";
import { byId, element, meter, text } from "./dom.js";
import { bytes as bytesText, exact } from "./format.js";

// The page of a gateway: its report, asked for every two seconds, as tiles and tables. The page's own token, if any, goes along.
const everyMs = 2000;
let before = null;

const sum = (values) => Object.values(values).reduce((total, value) => total + value, 0);
const cells = (...values) => values.map((value) => element("td", {}, value instanceof Node ? value : String(value)));

function show(now, seconds) {
	const last = before ?? now;
	const perSecond = (read) => Math.round((read(now) - read(last)) / seconds);
	const way = (name) => `${bytesText(perSecond(({ bytes }) => bytes[name]))}/s, ${exact(now.frames[name])} in all`;
	byId("status").className = `pill ${now.draining ? "draining" : now.status}`;
	text(byId("status"), now.draining ? "draining" : now.status);
	text(
		byId("facts"),
		`${now.backends.filter(({ isUp }) => isUp).length} of ${now.backends.length} backends up, authentication ${now.auth}`,
	);
	// Only several processes have a supervisor, which takes orders.
	byId("admin").hidden = now.balancer === undefined;
	byId("reasons").hidden = now.reasons.length === 0;
	text(byId("reasons"), now.reasons.join("; "));
	text(byId("tile-clients"), exact(now.clients.open));
	text(byId("tile-clients-sub"), `of ${exact(now.clients.max)}; closed by the gateway: ${sum(now.clients.closed)}`);
	text(byId("tile-in"), `${exact(perSecond(({ frames }) => frames.from_clients))}/s`);
	text(byId("tile-in-sub"), way("from_clients"));
	text(byId("tile-out"), `${exact(perSecond(({ frames }) => frames.to_clients))}/s`);
	text(byId("tile-out-sub"), way("to_clients"));
	const count = now.latency.count - last.latency.count;
	const averageMs = count === 0 ? 0 : ((now.latency.seconds - last.latency.seconds) * 1000) / count;
	text(byId("tile-latency"), `${averageMs.toFixed(2)} ms`);
	text(byId("tile-latency-sub"), `most since the start: ${(now.latency.mostSeconds * 1000).toFixed(1)} ms`);
	// VIDEO that is skipped for a slow client is normal, and shown apart.
	const { skipped, resets } = now.acks;
	text(byId("tile-trouble"), exact(Math.max(0, sum(now.dropped) - skipped) + sum(now.refused)));
	text(byId("tile-trouble-sub"), `VIDEO skipped ${exact(skipped)}, ACKs overdue ${exact(resets)}`);
	byId("backend-rows").replaceChildren(
		...now.backends.map((backend) => {
			const former = last.backends.find(({ id }) => id === backend.id) ?? backend;
			const rate = (key) => Math.round((backend[key] - former[key]) / seconds);
			const name = `[${backend.id}] ${backend.address}${backend.name === "" ? "" : ` ${backend.name}`}`;
			const owner = backend.process === null ? "" : `, gateway ${backend.process}`;
			const state = `${backend.isUp ? "up" : "down"}${owner}`;
			return element(
				"tr",
				{},
				...cells(
					name,
					state,
					backend.breaker,
					backend.failures,
					rate("sentFrames"),
					rate("receivedFrames"),
					backend.waiting,
					backend.stopped.client,
				),
			);
		}),
	);
	byId("queue-rows").replaceChildren(
		...Object.entries(now.queues).map(([name, { waiting, dropped, highWater, pressed }]) =>
			element(
				"tr",
				{},
				...cells(
					name.replaceAll("_", " "),
					waiting,
					name === "to_clients_low" ? Math.max(0, dropped - skipped) : dropped,
					highWater,
					pressed,
				),
			),
		),
	);
	const { reservedBytes, bytesMax, tiers, refused } = now.buffers;
	text(
		byId("buffer-memory"),
		`${bytesText(reservedBytes)} of ${bytesText(bytesMax)}; buffer requests refused: ${exact(refused)}; frames held: ${exact(now.held)}`,
	);
	byId("tier-rows").replaceChildren(
		...tiers.map(({ bytes, buffersMax, inUse, allocations, frees, highWater }) =>
			element("tr", {}, ...cells(bytesText(bytes), meter(inUse / buffersMax, `${inUse} of ${buffersMax}`), allocations, frees, highWater)),
		),
	);
}

async function look() {
	try {
		const answer = await fetch(`/console/gateway.json${location.search}`, { cache: "no-store" });
		if (!answer.ok) throw new Error(`the gateway answers ${answer.status}`);
		const now = await answer.json();
		const atMs = performance.now();
		show(now, before === null ? 1 : (atMs - before.atMs) / 1000);
		before = { ...now, atMs };
		document.body.classList.remove("stale");
	} catch (error) {
		byId("status").className = "pill unhealthy";
		text(byId("status"), error instanceof TypeError ? "not reachable" : error.message);
		document.body.classList.add("stale");
	}
	setTimeout(look, everyMs);
}

look();
