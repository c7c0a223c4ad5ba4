import { describe, expect, it } from "vitest";
import { jsonCodec, ProtocolError, quoteJson } from "../../src/index.ts";

describe("bare JSON requests", () => {
	it("connect a unidirectional client", () => {
		const request = jsonCodec.decodeConnect(Buffer.from('{"token":"t","subs":{"news":{"recover":true,"offset":5,"epoch":"x7"}}}\n'));
		expect(request.token).toBe("t");
		expect(request.subs.get("news")).toMatchObject({ recover: true, offset: 5, epoch: "x7" });
	});

	it("carry commands for another connection as a string", () => {
		const body = JSON.stringify({ session: "s", node: "n", data: '{"id":1,"rpc":{"data":"é"}}\n{}' });
		const { session, node, data } = jsonCodec.decodeEmulation(Buffer.from(body));
		expect([session, node]).toEqual(["s", "n"]);
		expect(jsonCodec.decodeCommands(data).commands.map(({ method }) => method)).toEqual(["rpc", "pong"]);
	});

	it.each(["", "{}", '{"data":{}}', '{"data":null}', '{"session":1,"data":""}'])("%s is refused as an emulation request", (body) => {
		expect(() => jsonCodec.decodeEmulation(Buffer.from(body))).toThrow(ProtocolError);
	});

	it("that are not UTF-8 are refused", () => {
		expect(() => jsonCodec.decodeConnect(Buffer.from('{"token":"\xff"}', "latin1"))).toThrow(ProtocolError);
	});

	it("encode text as a JSON string for clients that take deltas", () => {
		expect(Buffer.from(quoteJson(Buffer.from('{"é":"\n"}'))).toString()).toBe('"{\\"é\\":\\"\\n\\"}"');
	});
});
