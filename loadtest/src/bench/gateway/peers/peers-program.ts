import { Peers } from "./peers.ts";

/** Runs `Peers` for the bench that has forked this, and ends with it. */
const peers = new Peers();

process.on("message", async ({ call, argument }: { readonly call: keyof Peers; readonly argument: never }) => {
	try {
		process.send!({ value: await peers[call](argument) });
	} catch (error) {
		process.send!({ error: (error as Error).message });
	}
});
process.on("disconnect", () => process.exit(0));
