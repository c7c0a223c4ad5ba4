// Your own middleware: every message passes through it before it is published.
//   npm run build && node examples/middleware.mjs [address]
import { createServer, RecordKind, recovery } from "shardcast";

/** Tracking: how many messages and bytes came in for each channel. Bounded, since clients choose the names. */
function tracking(channelsMax = 1000) {
	const byChannel = new Map();
	return {
		totals: () => Object.fromEntries(byChannel),
		middleware: ({ channels, payload }, next) => {
			next();
			// Only published messages are counted: a later middleware that throws or does not call next() stops the message.
			for (const channel of channels.length === 0 ? ["everybody"] : channels) {
				const totals = byChannel.get(channel) ?? (byChannel.size < channelsMax ? { messages: 0, bytes: 0 } : null);
				if (totals === null) continue;
				totals.messages++;
				totals.bytes += payload.length;
				byChannel.set(channel, totals);
			}
		},
	};
}

/** Checking: only JSON objects pass. If it throws, the message is lost and counted, and an HTTP publisher gets 500. */
const onlyObjects = ({ kind, payload }, next) => {
	if (kind !== RecordKind.text) throw new TypeError("binary messages are not taken here");
	const value = JSON.parse(Buffer.from(payload).toString());
	if (typeof value !== "object" || value === null) throw new TypeError("a message must be a JSON object");
	next();
};

/** Changing: adds the server's time to each message. The payload is replaced, never modified. */
const stamping = (message, next) => {
	message.payload = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(message.payload).toString()), at: Date.now() }));
	next();
};

const tracked = tracking();
const server = createServer(
	{ addr: process.argv[2] ?? ":9002" },
	{ statusLine: false, middleware: [recovery(), tracked.middleware, onlyObjects, stamping] },
);
server.control.registerDebugProbe("by_channel", tracked.totals);
await server.run();
console.log(`serving at ${server.url}`);

for (const signal of ["SIGINT", "SIGTERM"]) {
	process.once(signal, async () => {
		console.log(JSON.stringify(server.control.stats()));
		process.exit((await server.shutdown(5000)) === 0 ? 0 : 1);
	});
}
