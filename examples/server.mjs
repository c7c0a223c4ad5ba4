// shardcast in your own program: one server in this process, no cluster.
//   npm run build && node examples/server.mjs [address]
import { createServer, logging, recovery } from "shardcast";

const server = createServer(
	{ addr: process.argv[2] ?? ":9002", messageRate: 100 },
	{ middleware: [recovery(), logging({ everyMs: 1000 })] },
);

// Counts the connections by the channels that they gave.
const listeners = new Map();
const count = (channels, change) => {
	for (const channel of channels) listeners.set(channel, (listeners.get(channel) ?? 0) + change);
};
server.on("open", ({ channels }) => count(channels, 1));
server.on("close", ({ channels }) => count(channels, -1));
server.control.registerDebugProbe("listeners", () => Object.fromEntries(listeners));

await server.run();
console.log(`serving at ${server.url}`);

// The program publishes too: the time, once a second, to clients that listen to it.
const clock = setInterval(() => server.publish(new Date().toISOString(), { channel: "clock" }), 1000);

// The program decides which signals stop the server, and with which exit status.
for (const signal of ["SIGINT", "SIGTERM"]) {
	process.once(signal, async () => {
		clearInterval(clock);
		console.log(server.control.stats());
		const cutOff = await server.shutdown(5000);
		process.exit(cutOff === 0 ? 0 : 1);
	});
}
