// In the browser's audio thread: what the microphone hears, as 16 bit samples, a tenth of a second at a time.

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.length = Math.round(sampleRate / 10);
    this.begin();
  }

  begin() {
    this.samples = new Int16Array(this.length);
    this.count = this.peak = 0;
  }

  process([channels]) {
    for (let i = 0; i < (channels[0]?.length ?? 0); i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      const value = Math.max(-1, Math.min(1, sum / channels.length));
      this.peak = Math.max(this.peak, Math.abs(value));
      this.samples[this.count++] = Math.round(32767 * value);
      if (this.count < this.length) continue;
      this.port.postMessage({ samples: this.samples, peak: this.peak }, [this.samples.buffer]);
      this.begin();
    }
    return true;
  }
}

registerProcessor("capture", Capture);
