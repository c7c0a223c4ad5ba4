import { expect, it } from "vitest";
import { HandedOver } from "../src/handed-over.ts";

it("a connection that was handed over is redeemed once, by its address, within two seconds", () => {
	const handedOver = new HandedOver();
	handedOver.arrived(1n);
	handedOver.arrived(1n);
	expect(handedOver.redeem(2n)).toBe(false);
	expect([handedOver.redeem(1n), handedOver.redeem(1n), handedOver.redeem(1n)]).toEqual([true, true, false]);
	handedOver.arrived(3n);
	handedOver.age();
	expect(handedOver.redeem(3n)).toBe(true);
	handedOver.arrived(4n);
	handedOver.age();
	handedOver.age();
	expect(handedOver.redeem(4n)).toBe(false);
});

it("remembers a bounded number of addresses", () => {
	const handedOver = new HandedOver();
	for (let address = 0n; address < 20_001n; address++) handedOver.arrived(address);
	expect([handedOver.redeem(19_999n), handedOver.redeem(20_000n)]).toEqual([true, false]);
});
