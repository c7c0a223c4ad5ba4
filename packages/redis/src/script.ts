import { createHash } from "node:crypto";

/** A Lua script that Redis runs atomically: `redis.run(script, keys, args)`. Create it once, at the top of a module. */
export class Script {
	readonly text: string;
	/** SHA-1 for EVALSHA. */
	readonly sha: string;

	constructor(text: string) {
		this.text = text;
		this.sha = createHash("sha1").update(text).digest("hex");
	}
}
