/** Why a node cannot take a client. */
export type WhyNot = "starting" | "draining" | "unhealthy" | "full" | "cut off" | "without a URL for clients (--node-url)";

/** No node can take a client now. The message says why, without naming a node. */
export class NoNode extends Error {
	override readonly name = "NoNode";

	/** @param because number of nodes by reason. */
	constructor(because: ReadonlyMap<WhyNot, number>) {
		const reasons = [...because].map(([why, count]) => `${count} ${why}`);
		super(`no node can take a client now: ${reasons.join(", ") || "none is known"}`);
	}
}
