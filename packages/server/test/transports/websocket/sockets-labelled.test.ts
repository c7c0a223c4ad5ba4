import { openFiles } from "@shardcast/process";
import { expect, it } from "vitest";
import { LabelledSockets } from "../../../src/transports/websocket/requests/sockets-labelled.ts";

it("a connection that the library refuses leaves no descriptor open; the caller still owns the original", () => {
	const app = {
		adopt: () => {
			throw new Error("not now");
		},
	};
	const sockets = new LabelledSockets({ app, served: () => {}, onError: () => {} });
	const adopt = () => sockets.adopt(0, "10.0.0.1");
	expect(adopt).toThrow("not now");
	const before = openFiles()!;
	for (let attempt = 0; attempt < 20; attempt++) expect(adopt).toThrow("not now");
	expect(openFiles()! - before, "descriptors left open by 20 attempts").toBeLessThan(10);
	expect(sockets.count).toBe(0);
});
