package advert

// Open is AES-CCM for the vectors of its RFC.
var Open = open
