import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const program = fileURLToPath(new URL("../programs/take-back-near-limit.mjs", import.meta.url));

it("a balancer short of descriptors leaves connections in a dead shard's socket, where they are safe, until it can take them", async () => {
	const limit = "700";
	const args = ["-c", 'ulimit -n "$1"; exec "$2" "$3" "$1"', "bash", limit, process.execPath, program];
	const { stdout } = await promisify(execFile)("bash", args, { timeout: 20_000 });
	expect(JSON.parse(stdout)).toEqual({ atLimit: { takenBack: 0, sendErrors: 0 }, later: { takenBack: 256, sendErrors: 0 } });
});
