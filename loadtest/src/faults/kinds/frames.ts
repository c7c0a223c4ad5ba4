import { encodeFrame, Opcode, upgradeRequest } from "@shardcast/testkit";
import { bareConnection } from "../clients/bare.ts";
import type { FaultKind } from "../fault.ts";
import { Random } from "../random.ts";

const comers = 30;
const key = "dGhlIHNhbXBsZSBub25jZQ==";
const paths = ["/?channels=faults", "/connection/websocket", "/connection/websocket?format=protobuf"];
const commands = ['{"id":1,"connect":{}}', '{"id":2,"subscribe":{"channel":"kept:a"}}', '{"id":3,"ping":{}}', "text"];

/** Right frames with one to eight bits flipped, sometimes cut off or followed by noise. */
export function mutatedFrames(random: Random): Buffer {
	const frames = Array.from({ length: 1 + random.below(4) }, () =>
		encodeFrame(random.pick([Opcode.text, Opcode.binary, Opcode.ping]), Buffer.from(random.pick(commands)), { masked: true }),
	);
	// Masks are random: a fixed one makes the bytes depend on the seed only.
	for (const frame of frames) remask(frame, random);
	const bytes = Buffer.concat([...frames, Buffer.from(Array.from({ length: random.below(3) * 7 }, () => random.below(256)))]);
	for (let flips = 1 + random.below(8); flips > 0; flips--) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
	return bytes.subarray(0, random.below(4) === 0 ? 1 + random.below(bytes.length) : bytes.length);
}

/** All payloads are shorter than 126 bytes: the mask follows the second byte. */
function remask(frame: Buffer, random: Random): void {
	const mask = Array.from({ length: 4 }, () => random.below(256));
	for (let at = 6; at < frame.length; at++) frame[at]! ^= frame[2 + ((at - 6) & 3)]! ^ mask[(at - 6) & 3]!;
	frame.set(mask, 2);
}

export const mutated: FaultKind = {
	name: "mutated-frames",
	help: "30 clients of all protocols send frames with flipped bits, drawn from the seed",
	isShort: true,
	draw(random, isShort) {
		const seed = random.next();
		return { target: 0, forMs: isShort ? 300 : 1_000, seed, story: "" };
	},
	lacks: () => null,
	async inject(rig, { seed, forMs }) {
		const random = new Random(seed);
		const all = Array.from({ length: comers }, () => ({
			bare: bareConnection(rig),
			path: random.pick(paths),
			bytes: mutatedFrames(random),
		}));
		try {
			for (const { bare, path, bytes } of all) {
				bare.socket.write(upgradeRequest(path, "faults", key));
				bare.socket.write(bytes);
			}
			await rig.wait(forMs);
		} finally {
			for (const { bare } of all) bare.socket.destroy();
		}
	},
};
