import { handshakeKey, Opcode, RawSocket } from "@shardcast/testkit";
import type { FaultKind } from "../fault.ts";

const each = 10;
const goneWithinMs = 45_000;

/** Clients of both protocols that fall silent: they read nothing and answer nothing, but their connection is not closed, as if their machine had lost its network. */
export const halfOpen: FaultKind = {
	name: "half-open",
	help: "20 clients stop to read and to answer without closing: the cluster must close them, with pings of 5 s and 2 s to answer",
	isShort: false,
	draw: () => ({ target: 0, forMs: 0, seed: 0, story: "" }),
	lacks: () => null,
	async inject(rig) {
		const { hostname, port } = new URL(rig.subject.cluster.url);
		let opened = 0;
		const handler = {
			opened: (socket: RawSocket) => {
				opened++;
				if (socket.id >= each) socket.send(Opcode.text, Buffer.from('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"kept:a"}}'));
			},
			message: () => {},
			ended: () => {},
		};
		const readBuffer = Buffer.allocUnsafeSlow(16_384);
		const key = handshakeKey();
		const sockets = Array.from({ length: 2 * each }, (_, id) => {
			const path = id < each ? "/" : "/connection/websocket?cf_ws_frame_ping_pong=true";
			return new RawSocket(id, { host: hostname, port: Number(port), path, key, readBuffer }, handler);
		});
		try {
			if (!(await rig.until(() => opened === sockets.length, 20_000)))
				rig.tally.add("refused", `${sockets.length - opened} silent clients`);
			for (const socket of sockets) {
				socket.passive = true;
				socket.tcp.pause();
			}
			const usual = rig.crowd.connections;
			const areGone = async () => (await rig.subject.cluster.health()).connections <= usual;
			if (!(await rig.until(areGone, goneWithinMs, 250))) {
				const { connections } = await rig.subject.cluster.health();
				rig.tally.add(
					"leaked",
					`${connections} connections ${goneWithinMs / 1000} s after 20 clients fell silent, ${usual} are due`,
					connections - usual,
				);
			}
		} finally {
			for (const socket of sockets) socket.tcp.destroy();
		}
	},
};
