// A program that publishes through its own server, driven over IPC: `{ id, call, argument }` is answered by `{ id, result }`.
import { createServer, PublishError } from "../../../server/dist/library/index.js";

const silent = { level: "info", debug() {}, info() {}, warn() {}, error() {} };
let server;

const outcomeOf = (published) =>
	published.then(
		() => "published",
		(error) => (error instanceof PublishError ? error.outcome : error.name),
	);
const confirmed = (messages) => Promise.all(messages.map((message) => outcomeOf(server.publishConfirmed(message))));

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
	confirmed,
	confirmedMany: ({ count, text }) => confirmed(Array.from({ length: count }, () => text)),
	async confirmedBytes(bytes) {
		const message = Buffer.from(bytes);
		const outcome = outcomeOf(server.publishConfirmed(message));
		message.fill(0);
		return outcome;
	},
	publish: (message) => server.publish(message),
	async confirmedThenShutdown({ count }) {
		const outcomes = confirmed(Array.from({ length: count }, () => "x"));
		await server.shutdown(5000);
		return outcomes;
	},
};

process.on("message", async ({ id, call, argument }) => {
	process.send({ id, result: await calls[call](argument) });
});
process.on("disconnect", () => process.exit());
