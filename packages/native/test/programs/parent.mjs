// Starts child.mjs and passes on what it says, then lives until it is killed.
import { fork } from "node:child_process";

const child = fork(new URL("./child.mjs", import.meta.url), process.argv.slice(2));
child.on("message", (message) => process.send({ ...message, child: child.pid }));
setInterval(() => {}, 60_000);
