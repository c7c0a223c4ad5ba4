import { listen } from "./bench-backends.ts";

/** An empty splice: it sends back what it reads, and does nothing else. It ends with the process that has forked it. */
const { port } = await listen((socket) => socket.on("data", (piece) => socket.write(piece)));
process.on("disconnect", () => process.exit(0));
process.send!({ port });
