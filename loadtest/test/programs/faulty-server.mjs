// A broadcast server with one fault, named by the second argument, that hits one listening client: what the load test must
// find. On /connection/websocket it speaks as much of the Centrifuge protocol as the load test does.
// `node faulty-server.mjs <port> <fault>`
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const [port, fault] = [Number(process.argv[2]), process.argv[3]];
const http = createServer((_request, response) => response.writeHead(404).end());
const server = new WebSocketServer({
	server: http,
	verifyClient: (_client, answer) => answer(fault !== "refuse" || server.clients.size < 20, 503, "full"),
});
const clients = [];
let held = null;
let count = 0;

server.on("connection", (client, request) => {
	client.on("error", () => {});
	if (request.url === "/connection/websocket")
		client.on("message", (data) => {
			for (const line of data.toString().split("\n")) command(client, JSON.parse(line));
		});
	else client.on("message", (data, binary) => broadcast(client, data, binary));
	clients.push(client);
});

function command(client, { id, publish, subscribe }) {
	if (publish !== undefined) {
		client.send(JSON.stringify(fault === "no-publish" ? { id, error: { code: 103, message: "permission denied" } } : { id, publish: {} }));
		const push = { channel: publish.channel, pub: { data: publish.data } };
		broadcast(null, Buffer.from(JSON.stringify({ push })), false);
	} else if (subscribe === undefined) client.send(JSON.stringify({ id, connect: {} }));
	else if (fault === "no-subscribe") client.send(JSON.stringify({ id, error: { code: 103, message: "permission denied" } }));
	else client.send(JSON.stringify({ id, subscribe: {} }));
}

/** To all but the sender, or to all. */
function broadcast(client, data, binary) {
	const number = count++;
	// The victim is the first client that does not send.
	const victim = clients.find((other) => other !== client);
	for (const other of clients) {
		if (other === victim) toVictim(other, number, data, binary);
		else if (other !== client || fault === "echo") other.send(data, { binary });
	}
}

function toVictim(victim, number, data, binary) {
	if (fault === "drop" && number === 3) return;
	if (fault === "duplicate" && (number === 2 || number === 5)) victim.send(data, { binary });
	if (fault === "corrupt" && number === 4) return victim.send(data.subarray(0, data.length - 1), { binary });
	if (fault === "text" && number === 4) return victim.send(data, { binary: !binary });
	if (fault === "hang-up" && number === 4) return victim.close(3008, "slow");
	if (fault === "reorder" && number === 6) {
		held = data;
		return;
	}
	victim.send(data, { binary });
	if (held !== null) victim.send(held, { binary });
	held = null;
}

http.listen(port, "127.0.0.1", () => console.log(`listening on ${port}`));
process.on("SIGTERM", () => process.exit(0));
