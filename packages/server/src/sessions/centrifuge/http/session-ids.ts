import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** An id consists of the shard and its run (`incarnationId`), random bytes, and a code by which every shard recognises ids of this cluster. */
const lifeBytes = 4;
const randomPartBytes = 12;
const codeBytes = 8;
const codeStart = lifeBytes + randomPartBytes;
const idPattern = /^[-\w]{32}$/;

/**
 * The ids by which clients name their sessions when their commands arrive in separate requests, at any shard. Whoever knows an id may send
 * commands for its client. A forged id is detected at once and costs other shards nothing.
 */
export class SessionIds {
	readonly #key: Buffer;

	/** @param key a secret of the cluster, the same in all shards. */
	constructor(key: readonly number[]) {
		this.#key = Buffer.from(Uint32Array.from(key).buffer);
	}

	/** @param life run of the shard that has the session. */
	create(life: number): string {
		const bytes = Buffer.alloc(codeStart + codeBytes);
		bytes.writeUInt32BE(life);
		randomBytes(randomPartBytes).copy(bytes, lifeBytes);
		this.#code(bytes).copy(bytes, codeStart);
		return bytes.toString("base64url");
	}

	/** The run of the shard that has the session; null = no shard of this cluster has created this id. */
	lifeOf(id: string): number | null {
		if (!idPattern.test(id)) return null;
		const bytes = Buffer.from(id, "base64url");
		return timingSafeEqual(bytes.subarray(codeStart), this.#code(bytes)) ? bytes.readUInt32BE() : null;
	}

	#code(bytes: Buffer): Buffer {
		return createHmac("sha256", this.#key).update(bytes.subarray(0, codeStart)).digest().subarray(0, codeBytes);
	}
}
