// Makes as many ArrayBuffers as many messages would: says how much CPU time the main thread, and all others, have taken for them, in milliseconds.
import { freeArrayBuffersOnOwnThread, scheduled } from "@shardcast/process";

freeArrayBuffersOnOwnThread();
const ranMs = () => {
	const threads = [...scheduled(process.pid)];
	const sum = (isOwn) => threads.reduce((ms, [id, { ranMs }]) => ms + ((id === String(process.pid)) === isOwn ? ranMs : 0), 0);
	return { own: sum(true), others: sum(false) };
};
const kept = [];
const before = ranMs();
for (let made = 0; made < 1_500_000; made++) kept[made % 16] = new Uint8Array(new ArrayBuffer(16));
const after = ranMs();
console.log(JSON.stringify({ own: after.own - before.own, others: after.others - before.others }));
