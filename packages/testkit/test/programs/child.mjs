// A program that does what its first argument says, for the tests of ManagedProcess.
import { spawn } from "node:child_process";

const behaviour = process.argv[2];
if (behaviour === "crash") {
	console.error("it broke");
	process.exit(3);
}
if (behaviour === "deaf") process.on("SIGTERM", () => console.log("heard, but no"));
if (behaviour === "polite") process.on("SIGTERM", () => process.exit(0));
if (behaviour === "parent") {
	// An orphan in the making: it ignores what its parent is told and does not leave with it.
	const orphan = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { detached: true, stdio: "ignore" });
	orphan.once("spawn", () => console.log(`orphan ${orphan.pid}`));
	process.on("SIGTERM", () => process.exit(0));
}
// Last: the reader of this line may send a signal at once.
console.log(`${behaviour} ${process.env.SHARDCAST_LEAK ?? "clean"} ${process.env.OF_THE_TEST ?? ""}`);
setInterval(() => {}, 1000);
