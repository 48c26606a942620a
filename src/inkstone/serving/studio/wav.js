// Sound as the server reads it: one channel, 16 bits, in a WAV file.

export const RATE = 16000;

/** The samples of a sound file at `RATE`, its channels mixed. */
export async function samples(blob) {
  const sound = new AudioContext({ sampleRate: RATE });
  try {
    const decoded = await sound.decodeAudioData(await blob.arrayBuffer());
    const mixed = new Float32Array(decoded.length);
    for (let channel = 0; channel < decoded.numberOfChannels; channel += 1) {
      const one = decoded.getChannelData(channel);
      for (let at = 0; at < mixed.length; at += 1) mixed[at] += one[at] / decoded.numberOfChannels;
    }
    return mixed;
  } finally { sound.close(); }
}

/** Samples as a WAV file. */
export function wav(mixed) {
  const file = new DataView(new ArrayBuffer(44 + 2 * mixed.length));
  const name = (at, text) => [...text].forEach((letter, place) => file.setUint8(at + place, letter.charCodeAt(0)));
  name(0, "RIFF");
  file.setUint32(4, 36 + 2 * mixed.length, true);
  name(8, "WAVEfmt ");
  file.setUint32(16, 16, true); // bytes of what describes the samples
  file.setUint16(20, 1, true); // plain samples
  file.setUint16(22, 1, true); // one channel
  file.setUint32(24, RATE, true);
  file.setUint32(28, 2 * RATE, true);
  file.setUint16(32, 2, true);
  file.setUint16(34, 16, true);
  name(36, "data");
  file.setUint32(40, 2 * mixed.length, true);
  mixed.forEach((value, at) => file.setInt16(44 + 2 * at, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true));
  return new Blob([file], { type: "audio/wav" });
}
