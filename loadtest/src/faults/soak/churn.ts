import { handshakeKey, Opcode, RawSocket } from "@shardcast/testkit";

const staysMs = 500;
const tickMs = 10;
/** Connections at once: more wait for their turn, so that a slow cluster is not given ever more. */
const openMax = 2_000;
const paths = ["/", "/connection/websocket?cf_ws_frame_ping_pong=true"];
/** How clients leave. */
const endings: readonly ((socket: RawSocket) => void)[] = [
	(socket) => socket.close(),
	(socket) => socket.tcp.end(),
	(socket) => socket.reset(),
	(socket) => {
		// Within a frame.
		socket.sendBytes(Uint8Array.of(0x81, 0x85, 1, 2));
		socket.tcp.end();
	},
];

/** Clients that come, get something, and leave in one of several ways, so many per second. */
export class Churn {
	readonly #target: { readonly host: string; readonly port: number };
	readonly #key = handshakeKey();
	readonly #readBuffer = Buffer.allocUnsafeSlow(65_536);
	readonly #open = new Set<RawSocket>();
	readonly #ticking: NodeJS.Timeout;
	#begun = 0;
	opened = 0;
	/** Refused, or ended before they left. */
	failed = 0;
	#isStopped = false;

	constructor(url: string, perSecond: number) {
		const { hostname, port } = new URL(url);
		this.#target = { host: hostname, port: Number(port) };
		const beganMs = performance.now();
		let skipped = 0;
		this.#ticking = setInterval(() => {
			const due = Math.floor(((performance.now() - beganMs) * perSecond) / 1000);
			for (; this.#begun + skipped < due; ) {
				if (this.#open.size < openMax) this.#connect();
				else skipped++;
			}
		}, tickMs);
	}

	/** No more clients come, and those that are here leave at once. */
	stop(): void {
		this.#isStopped = true;
		clearInterval(this.#ticking);
		for (const socket of this.#open) socket.reset();
	}

	#connect(): void {
		const id = this.#begun++;
		const path = paths[id % paths.length]!;
		const options = { ...this.#target, path, key: this.#key, readBuffer: this.#readBuffer };
		const leaving = { isDue: false };
		const socket = new RawSocket(id, options, {
			opened: () => {
				this.opened++;
				socket.send(
					Opcode.text,
					Buffer.from(path === "/" ? `churn ${id}` : '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"kept:a"}}'),
				);
				setTimeout(() => {
					leaving.isDue = true;
					endings[Math.floor(id / paths.length) % endings.length]!(socket);
				}, staysMs).unref();
			},
			message: () => {},
			ended: () => {
				if (!leaving.isDue && !this.#isStopped) this.failed++;
				this.#open.delete(socket);
			},
		});
		this.#open.add(socket);
	}
}
