import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { addressKeyOf } from "@shardcast/limits";
import { expect, it } from "vitest";
import { BodyReader } from "../../../src/transports/websocket/requests/sockets-bodies.ts";

type Receiver = Parameters<ConstructorParameters<typeof BodyReader>[0]["receive"]>[1];

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function usedBytes(): number {
	collectGarbage();
	const { heapUsed, external } = process.memoryUsage();
	return heapUsed + external;
}

// Three such bodies of 390,000 chunks ended a shard with 128 MB of heap: each chunk was a separate object, some 500 bytes.
it("a body in one-byte chunks takes memory for its bytes, not for its chunks, and arrives whole", { tags: ["long"] }, () => {
	let receiver: Receiver | null = null;
	const reader = new BodyReader(
		{ receive: (_response, given) => (receiver = given) },
		{ bodyBytesMax: 400_000, counters: { add: () => {} } },
	);
	let whole: Uint8Array | null = null;
	reader.read({} as never, () => addressKeyOf("127.0.0.1"), 400_000, {
		whole: (body) => {
			whole = Uint8Array.from(body);
		},
		failed: () => expect.unreachable(),
	});
	const chunk = Uint8Array.of(120).buffer;
	const before = usedBytes();
	for (let sent = 0; sent < 100_000; sent++) receiver!.data(chunk, false);
	expect(usedBytes() - before).toBeLessThan(5_000_000);
	receiver!.data(Uint8Array.of(121).buffer, true);
	expect(Buffer.from(whole!).equals(Buffer.from(`${"x".repeat(100_000)}y`))).toBe(true);
	expect(reader.count).toBe(0);
});
