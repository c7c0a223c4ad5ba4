import { App, type WebSocket } from "uWebSockets.js";

/**
 * What the benches compare with, and what the load test is tested against: the shortest broadcast server that can be written
 * with uWebSockets.js. One process, each message published from its own callback as it comes, the sender left out;
 * `?channels=a` like a shard, with one channel at most. The limits are those of a shard, so that neither side saves work.
 *
 * `node bare-server.js <port>` listens on 127.0.0.1 and prints one line when it does. GET /health tells the pid, in the form
 * of the balancer's. POST /api/publish sends its body to everybody.
 */
interface Client {
	readonly topic: string;
}

const everybody = "everybody";
const published = '{"result":{}}\n';
let connections = 0;

const port = Number(process.argv[2]);
const app = App();
app
	.ws<Client>("/*", {
		maxPayloadLength: 64 * 1024,
		maxBackpressure: 1024 * 1024,
		idleTimeout: 120,
		upgrade: (response, request, context) => {
			const topic = request.getQuery("channels") ?? everybody;
			response.upgrade<Client>(
				{ topic },
				request.getHeader("sec-websocket-key"),
				request.getHeader("sec-websocket-protocol"),
				request.getHeader("sec-websocket-extensions"),
				context,
			);
		},
		open: (client) => {
			connections++;
			client.subscribe(client.getUserData().topic);
		},
		message: (client: WebSocket<Client>, message, isBinary) => {
			client.publish(client.getUserData().topic, message, isBinary);
		},
		close: () => {
			connections--;
		},
	})
	.post("/api/publish", (response) => {
		response.onAborted(() => {});
		// As it comes: the bodies of a bench arrive whole.
		response.onData((body, isLast) => {
			app.publish(everybody, body);
			if (isLast) response.cork(() => response.writeHeader("content-type", "application/json").end(published));
		});
	})
	.get("/health", (response) => {
		const shard = { id: 0, pid: process.pid, core: null, port, status: "healthy", connections };
		response.writeHeader("content-type", "application/json").end(JSON.stringify({ status: "healthy", connections, shards: [shard] }));
	})
	.listen("127.0.0.1", port, (listening) => {
		if (!listening) {
			console.error(`bare-server: port ${port} is taken`);
			process.exit(1);
		}
		console.log(`listening on ${port}`);
	});

process.on("SIGTERM", () => process.exit(0));
