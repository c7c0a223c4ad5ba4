import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** A shard in its present life (`shardLife`), bytes that nobody can guess, and a code by which every shard knows an id of this cluster. */
const lifeBytes = 4;
const randomPartBytes = 12;
const codeBytes = 8;
const codeStart = lifeBytes + randomPartBytes;
const idPattern = /^[-\w]{32}$/;

/**
 * The ids by which clients name their sessions when their commands come by other requests, at any shard. Whoever knows one may send for its
 * client. One that was made up is found out at once: it costs no other shard anything.
 */
export class SessionIds {
	readonly #key: Buffer;

	/** @param key a secret of the cluster, the same in all shards. */
	constructor(key: readonly number[]) {
		this.#key = Buffer.from(Uint32Array.from(key).buffer);
	}

	/** @param life of the shard that has the session. */
	create(life: number): string {
		const bytes = Buffer.alloc(codeStart + codeBytes);
		bytes.writeUInt32BE(life);
		randomBytes(randomPartBytes).copy(bytes, lifeBytes);
		this.#code(bytes).copy(bytes, codeStart);
		return bytes.toString("base64url");
	}

	/** The life of the shard that has the session; null = no shard of this cluster has made this id. */
	lifeOf(id: string): number | null {
		if (!idPattern.test(id)) return null;
		const bytes = Buffer.from(id, "base64url");
		return timingSafeEqual(bytes.subarray(codeStart), this.#code(bytes)) ? bytes.readUInt32BE() : null;
	}

	#code(bytes: Buffer): Buffer {
		return createHmac("sha256", this.#key).update(bytes.subarray(0, codeStart)).digest().subarray(0, codeBytes);
	}
}
