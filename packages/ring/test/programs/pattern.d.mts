export function mix(seed: number, n: number): number;
export function sizeOf(seed: number, n: number, bytesMax: number): number;
export function fillRecord(words: Int32Array, u8: Uint8Array, at: number, bytes: number, seed: number, n: number): void;
export function checkRecord(words: Int32Array, u8: Uint8Array, start: number, end: number, seed: number, bytesMax: number): number | Error;
export const endNumber: number;
export function firstNumber(incarnation: number): number;
export const Control: { readonly stop: number; readonly acknowledged: number; readonly firstSeen: number; readonly lastSeen: number };
