import { expect, it } from "vitest";
import { DrainedSockets } from "../../../src/transports/websocket/drained-sockets.ts";

it("a socket is told once in a turn, and not if it has closed by then, even through another one's turn", async () => {
	const told: string[] = [];
	const drained = new DrainedSockets<string>((socket) => {
		told.push(socket);
		if (socket === "a") drained.forget("c");
	});
	for (const socket of ["a", "b", "c", "a", "d"]) drained.add(socket);
	drained.forget("b");
	expect(told).toEqual([]);
	await new Promise(setImmediate);
	expect(told).toEqual(["a", "d"]);
	drained.add("a");
	await new Promise(setImmediate);
	expect(told).toEqual(["a", "d", "a"]);
});
