// A program that publishes through its own server, driven over IPC: `{ id, call, argument }` is answered by `{ id, result }`.
import { createServer } from "../../../server/dist/library.js";

const silent = { level: "info", debug() {}, info() {}, warn() {}, error() {} };
let server;

/** A wrong argument is thrown at once. */
const publish = async (message) => {
	try {
		return (await server.publish(message)).outcome;
	} catch (error) {
		return error.name;
	}
};
const publishAll = (messages) => Promise.all(messages.map(publish));

const calls = {
	async start(config) {
		server = createServer(config, { log: silent, statusLine: false });
		await server.run();
		return server.url;
	},
	useHandler() {
		server.use(({ payload }, next) => {
			const text = Buffer.from(payload).toString();
			if (text === "broken") throw new Error("broken on purpose");
			if (text !== "stopped") next();
		});
	},
	publish: publishAll,
	publishMany: ({ count, text }) => publishAll(Array.from({ length: count }, () => text)),
	async publishBytes(bytes) {
		const message = Buffer.from(bytes);
		const outcome = publish(message);
		message.fill(0);
		return outcome;
	},
	result: (message) => server.publish(message),
	async publishThenShutdown({ count }) {
		const outcomes = publishAll(Array.from({ length: count }, () => "x"));
		await server.shutdown(20_000);
		return outcomes;
	},
};

process.on("message", async ({ id, call, argument }) => {
	process.send({ id, result: await calls[call](argument) });
});
process.on("disconnect", () => process.exit());
