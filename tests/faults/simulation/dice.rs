//! What is drawn, from a seed.

/// SplitMix64: small, and the same everywhere.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice of their own for each who throws some, so that one throw more or less of one leaves the others as they are.
    pub fn new(seed: u64, whose: u64) -> Self {
        let mut dice = Dice(seed ^ whose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        dice.draw();
        dice
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `sides`, which is more than 0.
    pub fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.draw() % sides as u64).unwrap()
    }

    /// Once in so many throws.
    pub fn once_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }

    pub fn id(&mut self) -> uuid::Uuid {
        let random = u128::from(self.draw()) << 64 | u128::from(self.draw());
        uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
    }
}
