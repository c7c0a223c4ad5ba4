import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTcp, type Socket, type Server as TcpServer } from "node:net";
import { readProxyHeader } from "@shardcast/http";
import type WebSocket from "ws";
import { WebSocketServer } from "ws";

interface FakeNodeOptions {
	/** Each connection begins with a PROXY header. */
	readonly proxyProtocol?: boolean;
	readonly port?: number;
}

/** What answers as a node does: /health, WebSockets that get back what they send, and a few requests. */
export class FakeNode {
	readonly name: string;
	/** WebSockets that are open. */
	readonly sockets = new Set<WebSocket>();
	/** Headers of all upgrades and requests except health checks. */
	readonly requests: IncomingHttpHeaders[] = [];
	/** Addresses in PROXY headers, as they came; null = of the load balancer's own connection. */
	readonly announced: (string | null)[] = [];
	/** What /health says in addition. */
	health: Record<string, unknown> = {};
	healthStatus = 200;
	checks = 0;
	port = 0;
	/** As a process that has been stopped (SIGSTOP): the kernel accepts connections, and nobody reads them. */
	isHung = false;
	readonly #http: Server;
	readonly #listener: TcpServer;
	readonly #connections = new Set<Socket>();
	readonly #webSockets = new WebSocketServer({ noServer: true, allowSynchronousEvents: true });

	private constructor(name: string, { proxyProtocol = false }: FakeNodeOptions) {
		this.name = name;
		this.#http = createServer({ keepAliveTimeout: 0 }, (request, response) => this.#answer(request, response));
		this.#http.on("upgrade", (request, socket, head) => {
			this.requests.push(request.headers);
			this.#webSockets.handleUpgrade(request, socket, head, (client) => {
				this.sockets.add(client);
				client.on("close", () => this.sockets.delete(client));
				client.on("error", () => {});
				client.on("message", (data) => client.send(`${name}: ${data}`));
			});
		});
		this.#listener = createTcp({ allowHalfOpen: true }, (socket) => {
			this.#connections.add(socket);
			socket.on("close", () => this.#connections.delete(socket));
			socket.on("error", () => {});
			if (this.isHung) return;
			if (proxyProtocol) this.#skipHeader(socket);
			else this.#http.emit("connection", socket);
		});
	}

	static async start(name: string, options: FakeNodeOptions = {}): Promise<FakeNode> {
		const node = new FakeNode(name, options);
		node.#listener.listen(options.port ?? 0, "127.0.0.1");
		await once(node.#listener, "listening");
		node.port = (node.#listener.address() as { port: number }).port;
		return node;
	}

	get address(): string {
		return `127.0.0.1:${this.port}`;
	}

	/** Connections that are open, those of health checks included. */
	get connections(): number {
		return this.#connections.size;
	}

	/** Closes the port and all connections. */
	async stop(): Promise<void> {
		for (const socket of this.#connections) socket.destroy();
		if (!this.#listener.listening) return;
		this.#listener.close();
		await once(this.#listener, "close");
	}

	#skipHeader(socket: Socket): void {
		socket.once("data", (bytes: Buffer) => {
			const header = readProxyHeader(bytes, bytes.length);
			if (header.status !== "complete") {
				socket.destroy();
				return;
			}
			this.announced.push(header.address);
			socket.pause();
			this.#http.emit("connection", socket);
			const rest = bytes.subarray(header.bytes);
			if (rest.length > 0) socket.unshift(rest);
			process.nextTick(() => socket.resume());
		});
	}

	#answer(request: IncomingMessage, response: ServerResponse): void {
		if (request.url === "/health") {
			this.checks++;
			const connections = this.sockets.size;
			const report = { status: this.healthStatus === 200 ? "healthy" : "unhealthy", connections, maxConnections: 1000, ...this.health };
			response.writeHead(this.healthStatus, { Connection: "close" }).end(JSON.stringify(report));
			return;
		}
		this.requests.push(request.headers);
		if (request.url === "/stream") {
			// As nodes answer: the stream is the last response of its connection, and ends with it.
			response.writeHead(200, { "Content-Type": "text/event-stream", Connection: "close" });
			response.write("data: one\n\n");
			request.socket.on("end", () => request.socket.destroy());
			return;
		}
		let body = "";
		request.on("data", (piece: Buffer) => {
			body += piece.toString();
		});
		request.on("end", () => {
			const text = JSON.stringify({ node: this.name, method: request.method, url: request.url, body });
			response.writeHead(200, { "Content-Length": Buffer.byteLength(text) }).end(text);
		});
	}
}
