"""Image and video quality: PSNR and SSIM by the protocol of the super-resolution papers."""
