// A shard for tests of the balancer: takes connections over or listens for the proxy, serves them with node:http and ws, and
// keeps its row of the scoreboard. Started by fork with a JSON argument; told "stall", "resume" over IPC; leaves with its parent.
import { createServer } from "node:http";
import { Socket } from "node:net";
import { SharedMemoryBus } from "@shardcast/bus";
import { DescriptorChannel } from "@shardcast/native";
import { ClusterDirectory, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { Heartbeat, monotonicMs } from "@shardcast/wire";
import { WebSocketServer } from "ws";

const { cluster, slot, mode, aheadMs } = JSON.parse(process.argv[2]);
const directory = ClusterDirectory.open(cluster);
const board = Scoreboard.open(directory.boardPath);
const row = board.row(slot);
const bus = SharedMemoryBus.join(directory, board, slot);

const sockets = new Set();
let stalled = false;

const http = createServer((request, response) => {
	const chunks = [];
	request.on("data", (chunk) => chunks.push(chunk));
	request.on("end", () => {
		const { method, url, headers, rawHeaders } = request;
		const body = Buffer.concat(chunks).toString("latin1");
		response.setHeader("Content-Type", "application/json");
		response.end(JSON.stringify({ slot, method, url, headers, rawHeaders, body, remoteAddress: request.socket.remoteAddress }));
	});
});
http.keepAliveTimeout = 60_000;
const webSockets = new WebSocketServer({ noServer: true });
http.on("upgrade", (request, socket, head) => {
	if (webSockets.clients.size >= row.connectionsMax) {
		socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\nConnection: close\r\n\r\nshard full");
		return;
	}
	webSockets.handleUpgrade(request, socket, head, (client) => {
		row.webSockets++;
		const proxied = request.headers["x-shardcast-proxy"] !== undefined;
		if (proxied) row.proxiedSeen++;
		client.on("error", () => {});
		client.on("close", () => {
			row.webSockets--;
			if (proxied) row.proxiedSeen--;
		});
		client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
		client.send(JSON.stringify({ slot, url: request.url, headers: request.headers, remoteAddress: request.socket.remoteAddress }));
	});
});
http.on("connection", (socket) => {
	sockets.add(socket);
	row.connections++;
	socket.on("error", () => {});
	socket.once("close", () => {
		sockets.delete(socket);
		row.connections--;
	});
});

let beatMs = monotonicMs();
function beat() {
	const beforeMs = beatMs;
	beatMs = monotonicMs();
	// On a busy machine. The balancer may have passed it over meanwhile, as it should.
	if (beatMs - beforeMs > Heartbeat.silentMs + aheadMs - 300) process.send("late");
	row.set("heartbeatMs", monotonicMs() + aheadMs);
}
setInterval(beat, 100);
beat();

if (mode === "handoff") {
	const channel = DescriptorChannel.inherited(4, directory.handoffPath(slot));
	const take = () => {
		if (stalled) return;
		for (let fds = channel.receive(); fds.length > 0; fds = channel.receive()) {
			for (const fd of fds) {
				http.emit("connection", new Socket({ fd }));
				row.handoffsReceived = (row.handoffsReceived + 1) | 0;
			}
		}
		if (!bus.sleep()) setImmediate(take);
	};
	bus.onWake(take);
	process.on("message", (message) => {
		stalled = message === "stall";
		if (!stalled) take();
	});
	take();
} else {
	http.on("error", (error) => process.send({ error: error.message }));
	await new Promise((resolve) => http.listen({ port: row.port, host: "127.0.0.1", backlog: 4096 }, resolve));
	process.on("message", (message) => {
		if (message === "stall") http.close();
	});
}
row.state = ShardState.serving;
process.send("serving");
process.on("disconnect", () => process.exit(0));
